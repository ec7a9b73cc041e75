const find = (id) => document.getElementById(id);

/** An element with text. What users wrote is never parsed as HTML. */
function element(tag, text, className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

async function ask(path, json) {
  const init = json && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(json),
  };
  const response = await fetch(path, init);
  return response.json();
}

/** Asks, and shows the answer below the queries. */
async function show(path, json) {
  const answer = await ask(path, json);
  const { data, shards, ms, error, message } = answer;
  find('request').textContent = `${json ? 'POST' : 'GET'} ${path}`;
  const rows = asRows(data);
  const facts = [`${ms} ms`, shards.join(', '), Array.isArray(data) ? `${data.length} rows` : ''];
  find('facts').textContent = error ? `${error}: ${message}` : facts.filter(Boolean).join(' · ');
  find('plan').hidden = typeof data?.text !== 'string';
  find('plan').textContent = data?.text ?? '';
  fillTable(rows);
  find('json').textContent = JSON.stringify(answer, null, 2);
  find('result').hidden = false;
  find('result').scrollIntoView({ behavior: 'smooth' });
  return !error;
}

/** What to show as a table: lists, and single things but plans. */
function asRows(data) {
  if (Array.isArray(data)) return data;
  return data && data.text === undefined ? [data] : [];
}

function fillTable(rows) {
  const columns = Object.keys(rows[0] ?? {});
  const head = document.createElement('tr');
  head.append(...columns.map((column) => element('th', column, typeof rows[0][column] === 'number' ? 'number' : '')));
  const body = rows.map((row) => {
    const line = document.createElement('tr');
    line.append(...columns.map((column) => cell(column, row[column])));
    return line;
  });
  find('table').replaceChildren(...(columns.length > 0 ? [head] : []), ...body);
}

function cell(column, value) {
  if (typeof value === 'number') {
    return element('td', /id$/i.test(column) ? String(value) : value.toLocaleString('en'), 'number');
  }
  if (Array.isArray(value)) return element('td', String(value.length), 'number');
  if (typeof value !== 'object' || value === null) return element('td', value ?? '');
  const { name, flag = '', country } = value;
  return element('td', [flag, name, country?.flag].filter(Boolean).join(' '));
}

async function showShards() {
  const { data = [] } = await ask('/shards');
  const cards = data.map(({ name, cities, users }) => {
    const card = document.createElement('li');
    card.append(
      element('strong', name),
      element('span', `${counted(cities, 'city', 'cities')}, ${counted(users, 'user', 'users')}`),
    );
    return card;
  });
  find('shards').replaceChildren(...cards);
}

const counted = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

/** Points the links at the user that was last written. */
function useUser(id) {
  for (const link of document.querySelectorAll('[data-user]')) {
    link.href = link.dataset.user.replace('{id}', encodeURIComponent(id));
    link.textContent = link.getAttribute('href');
  }
  find('new-visit').elements.user.value = id;
}

find('queries').addEventListener('click', (event) => {
  const link = event.target.closest('a');
  // With a modifier key, the browser opens the JSON itself.
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.getAttribute('href'));
});

find('new-user').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { id, name } = Object.fromEntries(new FormData(event.target));
  if (!(await show('/users', { id, name }))) return;
  useUser(JSON.parse(find('json').textContent).data.id);
  await showShards();
});

find('new-visit').addEventListener('input', async (event) => {
  const { name, value } = event.target;
  if (name !== 'city' || value.length < 2 || /\(\d+\)$/.test(value)) return;
  const { data = [] } = await ask(`/cities/search?${new URLSearchParams({ prefix: value, limit: '10' })}`);
  const options = data.map((city) => new Option('', `${city.name}, ${city.countryCode} (${city.id})`));
  find('cities').replaceChildren(...options);
});

find('new-visit').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { user, city, note, visitedAt } = Object.fromEntries(new FormData(event.target));
  const cityId = Number(/\((\d+)\)$/.exec(city)?.[1] ?? city);
  useUser(user);
  await show(`/users/${encodeURIComponent(user)}/visits`, { cityId, note, visitedAt });
});

showShards();
