/** Keyed writes, and claims of new keys. Routers are as stale as can be: they may reach any shard in any state. */
import { busy, noteWrite, owns, readable, writable } from './shard.ts';
import { type Emit, nameOf, type State, VALUE_BITS } from './state.ts';
import { CLAIM, SCATTER, SCATTER_WRITE, STEP_END, type World } from './world.ts';

/** One keyed write on any shard whose guard lets it pass. */
export function write(world: World, state: State, emit: Emit): void {
  const { scope } = world;
  if (world.writes.get(state) >= (scope.writes ?? 0)) return;
  for (let shard = 0; shard < scope.shards; shard++) {
    for (let key = 0; key < world.keys; key++) {
      if (!writable(world, state, shard, key)) continue;
      const on = `key ${key} on ${nameOf(shard)}`;
      if (!world.value.get(state, shard, key)) {
        if (scope.inserts !== false) insert(world, state.slice(), shard, key, emit, () => `guard passes: insert ${on}`);
        continue;
      }
      const next = state.slice();
      world.writes.increment(next);
      const version = lastVersion(world, next);
      world.value.set(next, (world.value.get(state, shard, key) & ~VALUE_BITS) | version, shard, key);
      world.newest.set(next, (world.newest.get(state, key) & ~VALUE_BITS) | version, key);
      noteWrite(world, next, shard, key);
      emit(next, () => `guard passes: update ${on}`);
      if (scope.deletes !== false) emit(deleted(world, state, shard, key), () => `guard passes: delete ${on}`);
    }
  }
}

const lastVersion = (world: World, state: State) => world.writes.get(state) + 1;

function insert(world: World, next: State, shard: number, key: number, emit: Emit, label: () => string): void {
  const wrong = world.newest.get(next, key) ? `key ${key} is inserted twice: its primary key is not unique` : null;
  world.writes.increment(next);
  world.value.set(next, lastVersion(world, next), shard, key);
  world.newest.set(next, lastVersion(world, next), key);
  noteWrite(world, next, shard, key);
  emit(next, label, wrong);
}

function deleted(world: World, state: State, shard: number, key: number): State {
  const next = state.slice();
  world.writes.increment(next);
  world.value.set(next, 0, shard, key);
  world.newest.set(next, 0, key);
  noteWrite(world, next, shard, key);
  // A scatter that is under way need no longer see it.
  const forget = (field: World['scatter'], rows: number, column: number) => {
    for (let row = 0; row < rows; row++) field.set(next, field.get(next, row, column) & ~(1 << key), row, column);
  };
  forget(world.scatter, world.scope.scatters?.length ?? 0, SCATTER.must);
  forget(world.scatterWrite, world.scope.scatterWrites?.length ?? 0, SCATTER_WRITE.must);
  return next;
}

const STEP = { begin: 0, claim: 1, arrive: 2, version: 3, end: STEP_END } as const;

/** A router that wants to insert a new key on a shard of its choice. */
export function claim(world: World, state: State, row: number, emit: Emit): void {
  const wanted = world.scope.claims?.[row];
  const step = world.claim.get(state, row, CLAIM.step);
  if (!wanted || step === STEP.end) return;
  if (step === STEP.begin && wanted.afterJoin && world.join.get(state) < 4) return;
  if (step === STEP.begin || step === STEP.version) {
    const next = state.slice();
    const shard = step === STEP.begin ? wanted.to : world.claim.get(state, row, CLAIM.shard);
    const version = world.version.get(state, shard);
    world.claim.set(next, STEP.claim, row, CLAIM.step);
    world.claim.set(next, shard, row, CLAIM.shard);
    world.claim.set(next, version, row, CLAIM.version);
    emit(next, () => `router ${row}: knows version ${version} of ${nameOf(shard)}, for key ${wanted.key}`);
    return;
  }
  if (step === STEP.claim) claimAtHome(world, state, row, wanted.key, emit);
  else arrive(world, state, row, wanted.key, emit);
}

function goOn(world: World, next: State, row: number, step: number): State {
  if (step === STEP.end) world.claim.clearRow(next, row);
  world.claim.set(next, step, row, CLAIM.step);
  return next;
}

/** The first claim wins; a shard that owns the slot is the home, and there may be two of them for a moment. */
function claimAtHome(world: World, state: State, row: number, key: number, emit: Emit): void {
  const wanted = world.claim.get(state, row, CLAIM.shard);
  for (let home = 0; home < world.scope.shards; home++) {
    if (!owns(world, state, home, key)) continue;
    const next = state.slice();
    const says = `router ${row}: claim of key ${key} on home ${nameOf(home)}`;
    const record = world.record.get(state, home, key);
    if (!record) {
      if (world.value.get(state, home, key)) {
        emit(goOn(world, next, row, STEP.end), () => `${says}: it has rows there`);
        continue;
      }
      if (world.rules.claimFreeze && busy(world, state, home, key, true)) continue;
      const isRefused = world.claimsClosed.get(state, home) && wanted === world.scope.drain?.shard;
      if (world.rules.homesRefuseClaims && isRefused) {
        emit(goOn(world, next, row, STEP.end), () => `${says}: ${nameOf(wanted)} is draining`);
        continue;
      }
      world.record.set(next, wanted + 1, home, key);
      world.recordMove.set(next, 0, home, key);
    }
    const at = world.record.get(next, home, key) - 1;
    world.claim.set(next, at, row, CLAIM.shard);
    // Sent elsewhere than expected, it has to know that shard's version before it asks once more.
    emit(goOn(world, next, row, at === wanted ? STEP.arrive : STEP.version), () => `${says}: lives on ${nameOf(at)}`);
  }
}

/** The first batch on the shard that the home has named: "lives here", guard, insert. */
function arrive(world: World, state: State, row: number, key: number, emit: Emit): void {
  const shard = world.claim.get(state, row, CLAIM.shard);
  const says = `router ${row}: arrive with key ${key} on ${nameOf(shard)}`;
  const record = world.record.get(state, shard, key);
  const isKnown = world.version.get(state, shard) === world.claim.get(state, row, CLAIM.version);
  const mayStay = isKnown || !world.rules.claimFence;
  const value = world.value.get(state, shard, key);
  const newest = world.newest.get(state, key);
  // A read that the home has sent here would be answered too.
  if ((record === shard + 1 || (!record && (mayStay || owns(world, state, shard, key)))) && value !== newest) {
    emit(state, () => `${says}: read`, `a read of key ${key} on ${nameOf(shard)} finds ${value}, newest is ${newest}`);
  }
  const next = state.slice();
  const isClosed = world.claimsClosed.get(state, shard) && shard === world.scope.drain?.shard;
  if (!record && !owns(world, state, shard, key) && mayStay && !(isClosed && world.rules.drainedRefusesArrivals)) {
    world.record.set(next, shard + 1, shard, key);
  }
  if (!readable(world, next, shard, key)) {
    emit(goOn(world, state.slice(), row, STEP.version), () => `${says}: refused`);
    return;
  }
  if (busy(world, next, shard, key, false)) return;
  if (value) {
    emit(goOn(world, state.slice(), row, STEP.end), () => `${says}: primary key exists`);
    return;
  }
  insert(world, goOn(world, next, row, STEP.end), shard, key, emit, () => `${says}: insert`);
}
