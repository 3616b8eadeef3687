// Clients of the MCP SDK: node mcp.cjs PORT. One whose session is gone (404) begins a new one, as the protocol wants it.
const { Client } = require('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = require('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { LoggingMessageNotificationSchema } = require('@modelcontextprotocol/sdk/types.js');

const sessions = new Map();

async function begin(name) {
  const client = new Client({ name: String(name), version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${process.argv[2]}/mcp`));
  const session = { client, transport, events: [] };
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => { session.events.push(params.data); });
  await client.connect(transport);
  sessions.set(name, session);
}

async function say(name) {
  const { content } = await sessions.get(name).client.callTool({ name: 'say' });
  return JSON.parse(content[0].text);
}

require('./answers.cjs')({
  connect: ({ name }) => begin(name),
  async say({ name }) {
    try {
      return await say(name);
    } catch (error) {
      if (error.code !== 404) throw error;
      await begin(name);
      return { ...await say(name), began_anew: true };
    }
  },
  // What has come on the stream of events, once it has told of that visit.
  async events({ name, visits }) {
    const { events } = sessions.get(name);
    for (const end = Date.now() + 20000; events.at(-1)?.visits !== visits && Date.now() < end;) {
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    return { events };
  },
  async end({ name }) {
    const { client, transport } = sessions.get(name);
    await transport.terminateSession();
    await client.close();
  },
});
