// Microsoft's own client: node signalr.cjs PORT. It never connects again by itself.
const { HttpTransportType, HubConnectionBuilder, LogLevel } = require('@microsoft/signalr');

const hubs = new Map();
require('./answers.cjs')({
  async connect({ name, transport }) {
    const hub = new HubConnectionBuilder()
      .withUrl(`http://127.0.0.1:${process.argv[2]}/chat`, { transport: HttpTransportType[transport] })
      .configureLogging(LogLevel.None)
      .build();
    await hub.start();
    hubs.set(name, hub);
  },
  say: ({ name }) => hubs.get(name).invoke('Say'),
  async end({ name }) {
    await hubs.get(name).stop();
  },
});
