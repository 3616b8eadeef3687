// Imitates a hub of ASP.NET Core, which is not in Debian: /negotiate (version 1), the JSON protocol, and its three
// transports. The hub's method Say counts its calls in the connection. A token of another server is 404, as there.
const { randomUUID } = require('crypto');
const http = require('http');
const { WebSocketServer } = require('ws');

const RECORD_END = '\x1e';
const TRANSPORTS = ['WebSockets', 'ServerSentEvents', 'LongPolling'];
const connections = new Map();

class Connection {
  constructor() {
    this.visits = 0;
    this.waiting = '';     // what no transport has taken yet
    this.send = undefined; // of the transport, while it can take something
  }

  take(text) {
    for (const record of text.split(RECORD_END).filter(Boolean)) this.answer(JSON.parse(record));
  }

  answer(message) {
    if (message.protocol) return this.say({});  // the handshake
    if (message.type !== 1) return;             // pings
    const result = { server: process.env.SERVER_NAME, visits: ++this.visits };
    this.say({ type: 3, invocationId: message.invocationId, result });
  }

  say(message) {
    this.waiting += JSON.stringify(message) + RECORD_END;
    this.flush();
  }

  flush() {
    if (!this.send || !this.waiting) return;
    const { send, waiting } = this;
    this.waiting = '';
    send(waiting);
  }
}

function negotiate(response) {
  const token = randomUUID();
  connections.set(token, new Connection());
  const availableTransports = TRANSPORTS.map(transport => ({ transport, transferFormats: ['Text'] }));
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ negotiateVersion: 1, connectionId: randomUUID(), connectionToken: token, availableTransports }));
}

function streamEvents(connection, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.write(':\r\n\r\n');
  connection.send = text => response.write(`data: ${text}\r\n\r\n`);
  connection.flush();
}

// The first poll says that the transport is there; each later one waits for something to say.
function poll(connection, response) {
  response.setHeader('Content-Type', 'text/plain');
  if (!connection.polled) {
    connection.polled = true;
    return response.end();
  }
  connection.send = text => {
    connection.send = undefined;
    response.end(text);
  };
  connection.flush();
}

const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://hub');
  if (pathname === '/chat/negotiate') return negotiate(response);
  const token = searchParams.get('id');
  const connection = connections.get(token);
  if (!connection) return response.writeHead(404).end('No Connection with that ID');
  if (request.method === 'DELETE') {
    connections.delete(token);
    connection.send?.('');
    return response.writeHead(202).end();
  }
  if (request.method === 'GET') {
    return request.headers.accept === 'text/event-stream' ? streamEvents(connection, response) : poll(connection, response);
  }
  let body = '';
  request.on('data', data => { body += data; });
  request.on('end', () => {
    connection.take(body);
    response.end();
  });
});

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  const connection = connections.get(new URL(request.url, 'http://hub').searchParams.get('id'));
  if (!connection) return socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  sockets.handleUpgrade(request, socket, head, websocket => {
    connection.send = text => websocket.send(text);
    websocket.on('message', data => connection.take(data.toString()));
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1');
