// Counts a visitor's requests in express-session's memory. /logout ends the session.
const express = require('express');
const session = require('express-session');

const app = express();
app.set('trust proxy', 1);
app.use(session({ secret: 'the same on both', resave: false, saveUninitialized: false }));
app.get('/logout', (request, response) => request.session.destroy(() => {
  response.clearCookie('connect.sid').json({ server: process.env.SERVER_NAME });
}));
app.get('/', (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  response.json({ server: process.env.SERVER_NAME, visits: request.session.visits });
});
app.listen(Number(process.argv[2]), '127.0.0.1');
