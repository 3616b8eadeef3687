// WebSocket clients of node's own (undici): node chatter.mjs PORT COUNT. Each says a number and waits for it to come back,
// without end, and connects again when its socket closes. A line on standard input stops them all; then what they have
// seen is printed: {words, wrong, closed, refused, homes: {session: [servers]}}.
import { createInterface } from 'readline';

const [, , port, count] = process.argv;
const seen = { words: 0, wrong: [], closed: 0, refused: 0, homes: {} };
let stopping = false;

function chat(session) {
  if (stopping) return;
  let opened = false;
  let said = 0;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${session}`, { headers: { cookie: `s=${session}` } });
  const say = () => setTimeout(() => {
    if (stopping) return socket.close();
    if (socket.readyState === WebSocket.OPEN) socket.send(String(++said));
  }, 5);
  socket.onopen = () => { opened = true; say(); };
  socket.onmessage = ({ data }) => {
    const [server, echoed] = data.split(' ');
    if (echoed !== String(said)) seen.wrong.push(`${session}: ${data} for ${said}`);
    const homes = seen.homes[session] ??= [];
    if (!homes.includes(server)) homes.push(server);
    ++seen.words;
    say();
  };
  socket.onclose = () => {
    if (stopping) return;
    ++seen[opened ? 'closed' : 'refused'];
    setTimeout(() => chat(session), 20);
  };
}

for (let i = 0; i < Number(count); ++i) chat(`session${i}`);
createInterface({ input: process.stdin }).once('line', () => {
  stopping = true;
  setTimeout(() => { console.log(JSON.stringify(seen)); process.exit(0); }, 100);
});
