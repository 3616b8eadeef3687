// --- What is wrong, the worst first: above everything, in the title and in the icon
const COLOURS = { crit: '#c02626', error: '#c02626', warn: '#c58a12' };
const ICON = document.querySelector('link[rel=icon]').href;
const problems = new Keyed($('problems'), key => {
  const node = make('li'), level = make('span', 'pill'), text = make('span'), since = make('span', 'muted');
  node.append(level, text, since);
  return { node, update(p) {
    setClass(level, 'pill ' + p.level); put(level, p.level); put(text, p.text);
    put(since, p.since ? (p.kind === 'worker' ? `the last ${ago(p.since)} ago` : 'for ' + ago(p.since)) : '');
    node.title = p.since ? 'since ' + p.since : '';
  } };
});
let worst = null;
function showProblems(list, root) {
  const lines = new Map();  // of one thing there may be several: a server in two upstreams, a store of two zones
  for (const p of list) { let key = `${p.kind} ${p.subject}`; while (lines.has(key)) key += '+'; lines.set(key, p); }
  problems.update(lines);
  $('wrong').hidden = !list.length;
  document.title = (list.length ? `${list.length === 1 ? '1 problem' : list.length + ' problems'} · ` : '') + `limpet · ${root.host}`;
  const level = list[0]?.level || '';
  if (level === worst) return;
  worst = level;
  // The colour tells how bad it is, and a bang tells it to those who see no colours.
  const bang = level ? "%3Cpath d='M14 9h4l-1 9h-2zM14.4 20h3.2v3h-3.2z' fill='white'/%3E%3C/svg%3E" : '%3C/svg%3E';
  const colour = encodeURIComponent(COLOURS[level] || '#0c7f8f');
  document.querySelector('link[rel=icon]').href = ICON.replace('%230c7f8f', colour).replace('%3C/svg%3E', bang);
}

// --- What changes seldom: the last hour, zones of limits, certificates
const limits = new Keyed($('limits'), () => {
  const node = make('tr'), cells = Array.from({ length: 5 }, (_, i) => make('td', i < 3 ? 'l' : '', ' '));
  node.append(...cells);
  return { node, update(z) { [z.name, z.kind, z.key, `${whole(z.used)} of ${whole(z.capacity)}`, percent(z.fill)].forEach((text, i) => put(cells[i], text)); } };
});
const certificates = new Keyed($('certificates'), () => {
  const node = make('tr'), cells = Array.from({ length: 3 }, () => make('td', 'l', ' ')), pill = make('span', 'pill');
  cells[2].replaceChildren(pill);
  node.append(...cells);
  return { node, update(c) {
    put(cells[0], c.file); put(cells[1], c.server || '–');
    put(pill, c.left_s <= 0 ? 'has ended' : 'ends in ' + span(c.left_s * 1000));
    setClass(pill, 'pill ' + (c.left_s <= 2 * 86400 ? 'error' : c.left_s <= 14 * 86400 ? 'warn' : 'up'));
    pill.title = c.not_after;
  } };
});
async function refreshSeldom() {
  try {
    const [hour, all, ends] = await Promise.all([load('history'), load('zones'), load('certificates')]);
    tiles.requests.showHour(hour);
    const others = all.filter(z => z.kind !== 'sessions');
    limits.update(new Map(others.map(z => [z.kind + ' ' + z.name, z])));
    certificates.update(new Map(ends.map(c => [c.file, c])));
    $('limits-box').hidden = !others.length;
    $('certificates-box').hidden = !ends.length;
  } catch (error) { console.debug(error); }
}

// --- One session
function showSessionZones(names) {
  $('session-title').hidden = $('session').hidden = !names.length;
  const select = $('session-zone'), had = [...select.options].map(option => option.value);
  if (had.length === names.length && had.every((name, i) => name === names[i])) return;
  select.replaceChildren(...names.map(name => { const option = make('option', '', name); option.value = name; return option; }));
}
const sessionPath = s => `sessions/${encodeURIComponent(s.zone)}?key=${encodeURIComponent(s.key)}`;
let session = null;  // the one in the box
function fact(label, text) { const box = make('div'); box.append(make('dt', '', label), make('dd', '', text)); return box; }
async function ask1(path, options) {
  const answer = await fetch(api + path, { cache: 'no-store', signal: AbortSignal.timeout(5000), ...options });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error?.text || `${answer.status}`);
  return said;
}
async function lookUp(note = '') {
  session = { zone: $('session-zone').value, key: $('session-key').value };
  if (!session.key) return;
  const out = $('session-facts'), steps = $('session-steps');
  out.replaceChildren(); steps.replaceChildren();
  $('session-forget').hidden = $('session-move').hidden = true;
  let found = null;
  try { found = await ask1(sessionPath(session)); put($('session-said'), note); } catch (error) { put($('session-said'), note || error.message); }
  if (found) {
    out.append(fact('Server', found.servers.join(', ') || 'none of that id: ' + found.id), fact('Id', found.id),
               fact('idle_ms' in found ? 'Idle' : 'Age', span(found.idle_ms ?? found.age_ms)),
               fact('Over in', found.expires_in_ms === undefined ? 'never' : span(found.expires_in_ms)));
  }
  const serving = last?.[1][session.zone]?.upstreams || [];
  for (const upstream of serving) {
    try {
      const said = await ask1(`explain?upstream=${encodeURIComponent(upstream)}&cookie=${encodeURIComponent(session.key)}`);
      const what = said.decision === 'server' ? said.server : said.decision === 'refuse' ? `refused with ${said.code}` : 'waits';
      steps.append(make('li', 'decision', `${upstream}: the next request ${said.decision === 'server' ? 'goes to ' + what : what}` + (said.sticky_status ? ` (${said.sticky_status})` : '')));
      said.steps.forEach((step, i) => { const li = make('li', '', `${step.rule}: ${step.text}`); li.value = i + 1; steps.append(li); });
    } catch (error) { steps.append(make('li', '', `${upstream}: ${error.message}`)); }
  }
  if (!found || !mayWrite) return;
  const peers = serving.flatMap(name => last[2][name]?.peers || []).filter(p => !found.servers.includes(p.server));
  $('session-to').replaceChildren(...[...new Set(peers.map(p => p.server))].map(server => { const option = make('option', '', server); option.value = server; return option; }));
  $('session-forget').hidden = false;
  $('session-move').hidden = !peers.length;
}
async function changeSession(options, done) {
  try { await ask1(sessionPath(session), options); } catch (error) { return put($('session-said'), error.message); }
  await lookUp(done);
  refresh();
}
