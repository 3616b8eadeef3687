// Socket.IO's own client: node socketio.cjs PORT. It never connects again by itself: whatever fails is an error.
const { io } = require('socket.io-client');

const sockets = new Map();
require('./answers.cjs')({
  connect({ name, transports, withCredentials }) {
    const socket = io(`http://127.0.0.1:${process.argv[2]}`, {
      transports, withCredentials, reconnection: false, forceNew: true,
    });
    sockets.set(name, socket);
    return new Promise((resolve, reject) => {
      const use = () => resolve({ transport: socket.io.engine.transport.name });
      socket.once('connect_error', reject);
      socket.once('connect', () => {
        const { engine } = socket.io;
        engine.transport.name === transports.at(-1) ? use() : engine.once('upgrade', use);
      });
    });
  },
  say({ name }) {
    return sockets.get(name).timeout(20000).emitWithAck('say');
  },
});
