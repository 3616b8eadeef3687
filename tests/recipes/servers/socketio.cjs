// Counts what each connection says. node socketio.cjs PORT [cookie]
const http = require('http').createServer();
const { Server } = require('socket.io');

const io = new Server(http, { cookie: process.argv[3] === 'cookie' });
io.on('connection', socket => {
  let visits = 0;
  socket.on('say', answer => answer({ server: process.env.SERVER_NAME, visits: ++visits }));
});
http.listen(Number(process.argv[2]), '127.0.0.1');
