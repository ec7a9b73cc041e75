/**
 * Explores the ownership protocol: every scope with all rules, then each counterexample without its rule and with it.
 *
 *     npm run model -- [small | scopes | counterexamples | <id> ...] [--limit=8000000] [--traces]
 */
import { parseArgs } from 'node:util';
import { explore, type Result } from './explorer.ts';
import { ALL_RULES, type Rules } from './rules.ts';
import type { Move, Scope } from './scope.ts';
import { counterexamples, scopes } from './scopes/index.ts';
import type { Counterexample, NamedScope } from './scopes/named.ts';
import { World } from './world.ts';

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { limit: { type: 'string', default: '8000000' }, traces: { type: 'boolean', default: false } },
});
const limit = Number(options.limit);

const isWanted = (kind: string, { id, isSmall }: NamedScope): boolean =>
  wanted.length === 0 || wanted.includes(kind) || wanted.includes(id) || (isSmall === true && wanted.includes('small'));

const known = ['small', 'scopes', 'counterexamples', ...[...scopes, ...counterexamples].map(({ id }) => id)];
const unknown = wanted.filter((id) => !known.includes(id));
if (unknown.length > 0) throw new Error(`No such scope: ${unknown.join(', ')}. There are: ${known.join(', ')}`);

let failed = 0;
for (const named of scopes) if (isWanted('scopes', named)) runScope(named);
for (const example of counterexamples) if (isWanted('counterexamples', example)) runCounterexample(example);
if (failed > 0) {
  console.error(`${failed} failed.`);
  process.exitCode = 1;
}

function runScope({ id, title, scope }: NamedScope): void {
  const result = exploreOrders(scope, ALL_RULES);
  console.log(`${id}: ${title}\n    ${describe(result)}`);
  if (result.violation) fail(result, 'It must hold.');
  else if (!result.isComplete && !result.isBounded) fail(result, 'Its last move can never be done.');
}

function runCounterexample({ id, title, without, scope }: Counterexample): void {
  const broken = explore(new World(scope, without), limit);
  const whole = explore(new World(scope), limit);
  console.log(`${id}: ${title}\n    without the rule: ${describe(broken)}\n    with it: ${describe(whole)}`);
  if (options.traces && broken.violation) print(broken.trace);
  if (!broken.violation) fail(broken, 'It must be violated without the rule.');
  if (whole.violation) fail(whole, 'It must hold with the rule.');
}

/** Ids of moves follow the order of the list, so every order is a run of its own. */
function exploreOrders(scope: Scope, rules: Rules): Result {
  const orders = scope.moves.some((move) => move.after !== undefined) ? [scope.moves] : permutations(scope.moves);
  const results: Result[] = [];
  for (const moves of orders) {
    results.push(explore(new World({ ...scope, moves }, rules), limit));
    if (results.at(-1)?.violation) break;
  }
  const sum = (part: (result: Result) => number) => results.reduce((total, result) => total + part(result), 0);
  const last = results.at(-1) as Result;
  return {
    ...last,
    states: sum(({ states }) => states),
    transitions: sum(({ transitions }) => transitions),
    seconds: sum(({ seconds }) => seconds),
    isBounded: results.some(({ isBounded }) => isBounded),
    isComplete: results.some(({ isComplete }) => isComplete),
  };
}

function permutations(moves: readonly Move[]): readonly (readonly Move[])[] {
  if (moves.length < 2) return [moves];
  return moves.flatMap((first, index) =>
    permutations(moves.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}

function describe({ states, transitions, seconds, violation, isBounded }: Result): string {
  const outcome = violation ? `VIOLATED, ${violation}` : isBounded ? 'no violation, limit of states reached' : 'holds';
  const count = (value: number) => value.toLocaleString('en');
  return `${outcome}: ${count(states)} states, ${count(transitions)} transitions, ${seconds.toFixed(1)} s`;
}

function fail(result: Result, why: string): void {
  failed++;
  console.log(`    FAILED: ${why}`);
  print(result.trace);
}

function print(trace: readonly string[]): void {
  trace.forEach((line, index) => {
    console.log(`    ${String(index + 1).padStart(2)}. ${line}`);
  });
}
