// Drives a page in headless Chromium: node browser.mjs PLAYWRIGHT_DIR CHROMIUM URL OPTIONS, a script on standard
// input. The script is the body of an async function with `page`, `refreshed(n)` (waits until the page has refreshed n
// times more) and `texts(selector)`; what it returns is printed as JSON, with everything the page has complained of.
import { readFileSync } from 'fs';
import { createRequire } from 'module';

const [, , modules, executablePath, url, options] = process.argv;
const { chromium } = createRequire(modules + '/')('playwright-core');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
const facts = { complaints: [], requests: [] };
try {
  const page = await browser.newPage(JSON.parse(options));
  page.setDefaultTimeout(30000);
  page.on('console', message => ['error', 'warning'].includes(message.type()) && facts.complaints.push(message.text()));
  page.on('pageerror', error => facts.complaints.push(String(error)));
  page.on('request', request => facts.requests.push(request.url()));
  const count = () => page.evaluate(() => Number(document.documentElement.dataset.refreshes || 0));
  const refreshed = async n => {
    const wanted = await count() + n;
    await page.waitForFunction(w => Number(document.documentElement.dataset.refreshes || 0) >= w, wanted);
  };
  const texts = selector => page.$$eval(selector, nodes => nodes.filter(n => n.checkVisibility()).map(n => n.innerText.trim()));
  const response = await page.goto(url);
  facts.policy = response.headers()['content-security-policy'];
  await page.waitForFunction(() => Number(document.documentElement.dataset.refreshes || 0) >= 1);
  const script = new (async () => {}).constructor('page', 'refreshed', 'texts', 'count', readFileSync(0, 'utf8'));
  facts.result = await script(page, refreshed, texts, count) ?? null;
} catch (error) {
  facts.complaints.push(String(error));
} finally {
  await browser.close();
}
console.log(JSON.stringify(facts));
