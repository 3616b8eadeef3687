// Answers each line of JSON on standard input, in order: `orders[line.do](line)` gives what is printed.
const { createInterface } = require('readline');

module.exports = async orders => {
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    try {
      console.log(JSON.stringify(await orders[order.do](order) ?? {}));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error.stack ?? error) }));
    }
  }
};
