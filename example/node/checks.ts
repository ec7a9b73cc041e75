import { deepStrictEqual, match, ok } from 'node:assert/strict';
import type { Answer, Ask } from './client.ts';
import { cityRows } from './dataset.ts';
import {
  citiesBeginningWith,
  cityWithCountry,
  countriesByName,
  countriesByPopulation,
  largestCities,
} from './expected.ts';
import { format } from './progress.ts';
import { travellers } from './travellers.ts';

/** One thing to ask the example, and what to think of the answer. */
export interface Check {
  title: string;
  /** Throws if the answer is wrong. */
  run(ask: Ask): Promise<Answer>;
}

const ALL_SHARDS = ['db-central', 'db-east', 'db-west'];
const PARIS = 2988507;

const query = (path: string, params: Record<string, string | number>) =>
  `${path}?${new URLSearchParams(Object.entries(params).map(([name, value]) => [name, String(value)]))}`;

/** The answer must have these rows, from this many shards. */
const rows = (title: string, path: string, expected: () => unknown, shards: number): Check => ({
  title,
  async run(ask) {
    const answer = await ask(path);
    deepStrictEqual(answer.data, expected());
    deepStrictEqual(answer.shards.length, shards, `asked ${answer.shards}, expected ${shards} shards`);
    return answer;
  },
});

const search = (prefix: string) =>
  rows(
    `cities that begin with “${prefix}”`,
    query('/cities/search', { prefix, limit: 50 }),
    () => citiesBeginningWith(prefix, 50),
    3,
  );

const refused = (title: string, status: number, code: string, send: (ask: Ask) => Promise<Answer>): Check => ({
  title,
  async run(ask) {
    const answer = await send(ask);
    deepStrictEqual({ status: answer.status, code: answer.code }, { status, code });
    return answer;
  },
});

const explained = (name: string, shards: number): Check => ({
  title: `the plan of ${name}`,
  async run(ask) {
    const answer = await ask(query('/explain', { query: name }));
    const plan = answer.data as { shards: string[]; text: string };
    deepStrictEqual(plan.shards.length, shards);
    ok(plan.text.length > 0);
    return { ...answer, shards: plan.shards };
  },
});

const readOnly: Check[] = [
  {
    title: `all ${format(cityRows.length)} cities, spread over the shards`,
    async run(ask) {
      const answer = await ask('/shards');
      const shards = answer.data as { name: string; cities: number }[];
      const total = shards.reduce((sum, shard) => sum + shard.cities, 0);
      deepStrictEqual(total, cityRows.length);
      for (const shard of shards) ok(shard.cities > total / 4, `${shard.name} has only ${shard.cities}`);
      return { ...answer, shards: shards.map((shard) => shard.name) };
    },
  },
  rows('the 20 largest cities', '/cities/top?limit=20', () => largestCities(20), 3),
  rows('the 100 largest cities', '/cities/top?limit=100', () => largestCities(100), 3),
  rows('20 countries by city dwellers', '/countries/population', () => countriesByPopulation(20), 3),
  rows('100 countries by city dwellers', '/countries/population?limit=100', () => countriesByPopulation(100), 3),
  search('San '),
  search('new '),
  search('Ōs'),
  search("L'"),
  search('100%'),
  rows('one city by its id', `/cities/${PARIS}`, () => cityWithCountry(PARIS), 1),
  rows('all countries, from any one shard', '/countries', countriesByName, 1),
  explained('top-cities', 3),
  explained('population-by-country', 3),
  explained('city', 1),
  explained('visits', 3),
  refused('a limit that is too high', 400, 'INVALID_INPUT', (ask) => ask('/cities/top?limit=101')),
  refused('a city that does not exist', 404, 'NOT_FOUND', (ask) => ask('/cities/1')),
  {
    title: 'the start page',
    async run(ask) {
      const answer = await ask('/');
      match(String(answer.data), /<!doctype html>/i);
      return answer;
    },
  },
];

const [first] = travellers;
const firstId = first?.id ?? '';

const writing: Check[] = [
  {
    title: `${travellers.length} new users, each on one shard`,
    async run(ask) {
      const answers = await inTurn(travellers, ({ id, name }) => ask('/users', { json: { id, name } }));
      for (const answer of answers) deepStrictEqual(answer.shards.length, 1);
      return together(answers, 201);
    },
  },
  {
    title: 'their visits, each beside its user',
    async run(ask) {
      const visits = travellers.flatMap(({ id, visits }) => visits.map((visit) => ({ id, visit })));
      return together(await inTurn(visits, ({ id, visit }) => ask(`/users/${id}/visits`, { json: visit })), 201);
    },
  },
  ...travellers.slice(0, 4).map(
    (traveller): Check => ({
      title: `the visits of ${traveller.name}, with cities and countries`,
      async run(ask) {
        const answer = await ask(`/users/${traveller.id}/visits`);
        const visits = (answer.data as { id: string }[]).map(({ id, ...visit }) => visit);
        deepStrictEqual(
          visits,
          traveller.visits.map((visit) => ({ userId: traveller.id, ...visit, city: cityWithCountry(visit.cityId) })),
        );
        return answer;
      },
    }),
  ),
  {
    title: 'a user and the last visits, by one nested query on one shard',
    async run(ask) {
      const answer = await ask(`/users/${firstId}`);
      const user = answer.data as { name: string; visits: { cityId: number }[] };
      deepStrictEqual(
        [user.name, user.visits.map((visit) => visit.cityId)],
        [first?.name, first?.visits.slice(0, 5).map((visit) => visit.cityId)],
      );
      deepStrictEqual(answer.shards.length, 1);
      return answer;
    },
  },
  refused('a second user with the same id', 409, 'ALREADY_EXISTS', (ask) =>
    ask('/users', { json: { id: firstId, name: 'Somebody else' } }),
  ),
  refused('a visit of an unknown user', 404, 'NOT_FOUND', (ask) =>
    ask('/users/nobody/visits', { json: { cityId: PARIS } }),
  ),
  refused('a visit to an unknown city', 404, 'NOT_FOUND', (ask) =>
    ask(`/users/${firstId}/visits`, { json: { cityId: 1 } }),
  ),
  {
    title: 'a deleted user takes the visits along',
    async run(ask) {
      const answer = await ask(`/users/${firstId}`, { method: 'DELETE' });
      deepStrictEqual(answer.status, 200);
      deepStrictEqual((await ask(`/users/${firstId}/visits`)).data, []);
      return answer;
    },
  },
];

export const checks: Check[] = [...readOnly, ...writing];

async function inTurn<T>(items: T[], send: (item: T) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const item of items) answers.push(await send(item));
  return answers;
}

/** Several answers as one; each must have the status, and all shards must have had their part. */
function together(answers: Answer[], status: number): Answer {
  for (const answer of answers) deepStrictEqual(answer.status, status, JSON.stringify(answer));
  const shards = [...new Set(answers.flatMap((answer) => answer.shards))].sort();
  deepStrictEqual(shards, ALL_SHARDS);
  return { status, data: answers, shards, ms: answers.reduce((sum, answer) => sum + answer.ms, 0) };
}
