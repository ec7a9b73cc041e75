/** What must be true in every state, whoever has died or is late. */
import { isRetired } from './drain.ts';
import { owns, readable, writable } from './shard.ts';
import { has, JOURNALED, nameOf, PHASE, PHASE_NAMES, type State } from './state.ts';
import type { World } from './world.ts';

export function violation(world: World, state: State): string | null {
  for (let key = 0; key < world.keys; key++) {
    const found = ofKey(world, state, key) ?? unreachable(world, state, key);
    if (found) return found;
  }
  return stuck(world, state) ?? unowned(world, state) ?? unscoped(world, state) ?? hidden(world, state);
}

function ofKey(world: World, state: State, key: number): string | null {
  let writer = -1;
  const newest = world.newest.get(state, key);
  for (let shard = 0; shard < world.scope.shards; shard++) {
    const value = world.value.get(state, shard, key);
    const name = nameOf(shard);
    if (readable(world, state, shard, key)) {
      if (value !== newest) {
        return `stale or lost: ${name} answers for key ${key} with version ${value}, the newest acknowledged is ${newest}`;
      }
    } else if (value) return `orphan: ${name} holds a row of key ${key}, which it does not own`;
    if (!writable(world, state, shard, key)) continue;
    if (writer >= 0) return `two owners take writes of key ${key}: ${nameOf(writer)} and ${name}`;
    writer = shard;
  }
  return null;
}

/** A router that begins with the catalog's map must get there by what shards answer. */
function unreachable(world: World, state: State, key: number): string | null {
  const first = world.map.get(state, world.slotOf(key));
  let shard = first;
  for (let hop = 0; hop < 8; hop++) {
    if (readable(world, state, shard, key)) return null;
    const record = world.record.get(state, shard, key);
    let then = record - 1;
    if (record) {
      const isEmpty = !world.record.get(state, then, key) && !owns(world, state, then, key);
      const isOnlyClaimed = isEmpty && !world.newest.get(state, key) && owns(world, state, shard, key);
      if (isOnlyClaimed) return null;
    } else {
      for (let move = 0; move < world.scope.moves.length; move++) {
        if (!has(world.slotMask(move), world.slotOf(key))) continue;
        if (world.phase.get(state, shard, move) === PHASE.released) then = world.move(move).to;
      }
    }
    if (then < 0) return `unreachable: the map has key ${key} on ${nameOf(first)}, the trail ends on ${nameOf(shard)}`;
    shard = then;
  }
  return `unreachable: a router for key ${key} goes round in circles`;
}

function stuck(world: World, state: State): string | null {
  for (let move = 0; move < world.scope.moves.length; move++) {
    const journaled = world.journaled.get(state, move);
    if (journaled !== JOURNALED.done && journaled !== JOURNALED.aborted) continue;
    for (let shard = 0; shard < world.scope.shards; shard++) {
      const phase = world.phase.get(state, shard, move);
      if (phase === PHASE.frozen || phase === PHASE.staging || phase === PHASE.landed) {
        return `stuck: move ${move} is closed in the catalog but ${PHASE_NAMES[phase]} on ${nameOf(shard)}`;
      }
    }
  }
  return null;
}

function unowned(world: World, state: State): string | null {
  let owned = 0;
  for (let shard = 0; shard < world.scope.shards; shard++) owned |= world.slots.get(state, shard);
  for (let slot = 0; slot < world.scope.owner.length; slot++) {
    if (!has(owned, slot)) return `slot ${slot} has no owner`;
  }
  return null;
}

/** From FREEZE to RELEASE the scope has every implicit row of the slots. */
function unscoped(world: World, state: State): string | null {
  if (!world.scope.notes) return null;
  for (let move = 0; move < world.scope.moves.length; move++) {
    const shard = world.from.get(state, move) - 1;
    if (shard < 0 || world.phase.get(state, shard, move) !== PHASE.frozen) continue;
    for (let key = 0; key < world.keys; key++) {
      const isMoved = has(world.slotMask(move), world.slotOf(key)) && !world.record.get(state, shard, key);
      if (!isMoved || !world.value.get(state, shard, key) || has(world.noted.get(state, shard), key)) continue;
      return `unscoped: move ${move} has frozen ${nameOf(shard)} without key ${key} in its scope`;
    }
  }
  return null;
}

/** Nobody looks on a retired shard any more. */
function hidden(world: World, state: State): string | null {
  const drained = world.scope.drain?.shard;
  if (drained === undefined || !isRetired(world, state)) return null;
  const name = nameOf(drained);
  if (world.slots.get(state, drained)) return `hidden: the retired shard ${name} owns slots`;
  for (let key = 0; key < world.keys; key++) {
    if (world.value.get(state, drained, key)) return `hidden: a row of key ${key} is on the retired shard ${name}`;
    for (let home = 0; home < world.scope.shards; home++) {
      if (owns(world, state, home, key) && world.record.get(state, home, key) === drained + 1) {
        return `hidden: home ${nameOf(home)} has key ${key} on the retired shard ${name}`;
      }
    }
  }
  return null;
}
