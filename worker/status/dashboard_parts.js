// --- What is wrong, the worst first: above everything, in the title and in the icon
const COLOURS = { crit: '#c02626', error: '#c02626', warn: '#c58a12' };
const ICON = document.querySelector('link[rel=icon]').href;
const GRAVE = ['crit', 'error', 'warn'];
// Of upstreams without zone: as the worker sees them that answers.
function findProblems(root, zones, upstreams, stores) {
  const found = [], add = (level, key, text) => found.push({ level, key, text });
  for (const [name, { peers }] of Object.entries(upstreams)) {
    if (peers.length && !peers.some(p => p.state === 'up' || p.state === 'busy')) add('crit', 'upstream ' + name, `upstream ${name} has no server that takes new clients`);
    for (const p of peers.filter(p => p.state === 'unhealthy' || p.state === 'unavailable')) add('error', `server ${name} ${p.id}`, `server ${p.server} of ${name} is ${p.state}: ${why(p)}`);
  }
  for (const [name, z] of Object.entries(zones)) {
    const f = z.fill_limits, level = z.fill >= f.crit ? 'crit' : z.fill >= f.major ? 'error' : z.fill >= f.minor ? 'warn' : '';
    if (level) add(level, 'zone ' + name, `session zone ${name} is ${percent(z.fill)} full`);
  }
  for (const [name, store] of Object.entries(stores)) for (const [zone, f] of Object.entries(store.zones)) {
    if (f.state === 'lost') add('error', `store ${name} ${zone}`, `session store ${name} has been lost for ${span(f.lost_ms)}, zone ${zone} goes on alone`);
    else if (f.state === 'up' && f.asking_workers < root.workers.length) add('warn', `store ${name} ${zone}`, `${f.asking_workers} of ${root.workers.length} workers ask session store ${name}: it is slow, the others go on alone`);
  }
  if (root.incidents.reload_refused) add('error', 'reload', 'the configuration on disk was refused, an earlier one serves');
  const deaths = sum(Object.values(root.incidents.worker_deaths), n => n);
  if (deaths) add('warn', 'deaths', `${deaths} worker${deaths === 1 ? '' : 's'} died since the start; others took over, sessions were kept`);
  return found.sort((a, b) => GRAVE.indexOf(a.level) - GRAVE.indexOf(b.level));
}
const problems = new Keyed($('problems'), key => {
  const node = make('li'), level = make('span', 'pill'), text = make('span');
  node.append(level, text);
  return { node, update(p) {
    setClass(level, 'pill ' + p.level); put(level, p.level); put(text, p.text);
  } };
});
let worst = null;
function showProblems(list, root) {
  problems.update(new Map(list.map(p => [p.key, p])));
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
  $('session-forget').hidden = true;
  let found = null;
  try { found = await ask1(sessionPath(session)); put($('session-said'), note); } catch (error) { put($('session-said'), note || error.message); }
  if (found) {
    out.append(fact('Server', found.servers.join(', ') || 'none of that id: ' + found.id), fact('Id', found.id),
               fact('idle_ms' in found ? 'Idle' : 'Age', span(found.idle_ms ?? found.age_ms)),
               fact('Over in', found.expires_in_ms === undefined ? 'never' : span(found.expires_in_ms)));
  }
  // Those that learn sessions; of one that is known, those with its server.
  const serving = Object.entries(last?.[2] || {}).filter(([, u]) => u.peers.some(p => p.sessions !== undefined && (!found || p.id === found.id))).map(([name]) => name).slice(0, 4);
  for (const upstream of serving) {
    try {
      const said = await ask1(`explain?upstream=${encodeURIComponent(upstream)}&cookie=${encodeURIComponent(session.key)}`);
      const what = said.decision === 'server' ? said.server : said.decision === 'refuse' ? `refused with ${said.code}` : 'waits';
      steps.append(make('li', 'decision', `${upstream}: the next request ${said.decision === 'server' ? 'goes to ' + what : what}` + (said.sticky_status ? ` (${said.sticky_status})` : '')));
      said.steps.forEach((step, i) => { const li = make('li', '', `${step.rule}: ${step.text}`); li.value = i + 1; steps.append(li); });
    } catch (error) { steps.append(make('li', '', `${upstream}: ${error.message}`)); }
  }
  $('session-forget').hidden = !found || !mayWrite;
}
async function changeSession(options, done) {
  try { await ask1(sessionPath(session), options); } catch (error) { return put($('session-said'), error.message); }
  await lookUp(done);
  refresh();
}
