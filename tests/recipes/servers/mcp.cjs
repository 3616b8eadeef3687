// A server of the MCP SDK whose sessions are in its memory: node mcp.cjs PORT. The tool `say` counts its calls in the
// session, and tells of each on the stream of events.
const { randomUUID } = require('crypto');
const express = require('express');
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');

const transports = new Map();

async function begin() {
  const mcp = new McpServer({ name: 'counter', version: '1.0.0' }, { capabilities: { logging: {} } });
  let visits = 0;
  mcp.registerTool('say', { description: 'Counts' }, async () => {
    const said = { server: process.env.SERVER_NAME, visits: ++visits };
    await mcp.server.sendLoggingMessage({ level: 'info', data: said });  // by GET, whenever it is open
    return { content: [{ type: 'text', text: JSON.stringify(said) }] };
  });
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: id => transports.set(id, transport),
    onsessionclosed: id => transports.delete(id),
  });
  await mcp.connect(transport);
  return transport;
}

const app = express();
app.use(express.json());
app.all('/mcp', async (request, response) => {
  const id = request.headers['mcp-session-id'];
  const transport = id ? transports.get(id) : await begin();
  if (transport) return transport.handleRequest(request, response, request.body);
  response.status(404).json({ jsonrpc: '2.0', error: { code: -32001, message: 'no such session here' }, id: null });
});
app.listen(Number(process.argv[2]), '127.0.0.1');
