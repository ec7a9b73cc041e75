import { forNotes } from './shard.ts';
import { has, NOTE, nameOf, PHASE_NAMES, SCATTERED, type State, VALUE_BITS } from './state.ts';
import type { World } from './world.ts';

/**
 * What the shards hold, in short.
 *
 * @example
 * A[s0 k0=v1 k1→B m0:frozen noted:0 note:noted]  // slot 0, a row of key 0, a record of key 1, move 0, the scope, a note row
 */
export function show(world: World, state: State): string {
  return Array.from({ length: world.scope.shards }, (_, shard) => {
    const parts = [...slotsOf(world, state, shard), ...keysOf(world, state, shard), ...movesOf(world, state, shard)];
    return `${nameOf(shard)}[${parts.join(' ')}]`;
  }).join(' ');
}

function slotsOf(world: World, state: State, shard: number): string[] {
  const slots = world.scope.owner.flatMap((_, slot) => (has(world.slots.get(state, shard), slot) ? [`s${slot}`] : []));
  return world.claimsClosed.get(state, shard) ? [...slots, 'told'] : slots;
}

function keysOf(world: World, state: State, shard: number): string[] {
  return world.scope.keySlot.flatMap((_, key) => {
    const value = world.value.get(state, shard, key);
    const record = world.record.get(state, shard, key);
    if (!value && !record) return [];
    const times = Math.trunc(value / SCATTERED);
    const row = value ? `=v${value & VALUE_BITS}${times ? `+${times}` : ''}` : '';
    return [`k${key}${row}${record ? `→${nameOf(record - 1)}` : ''}`];
  });
}

function movesOf(world: World, state: State, shard: number): string[] {
  const parts = world.scope.moves.flatMap((_, move) => {
    const phase = world.phase.get(state, shard, move);
    return phase ? [`m${move}:${PHASE_NAMES[phase]}`] : [];
  });
  const noted = world.scope.keySlot.flatMap((_, key) => (has(world.noted.get(state, shard), key) ? [key] : []));
  if (noted.length > 0) parts.push(`noted:${noted.join(',')}`);
  forNotes(world, state, shard, (bits) => {
    const expired = bits & NOTE.guardForgot ? ' past its guards' : bits & NOTE.freezeForgot ? ' expired' : '';
    parts.push(`note:${bits & NOTE.noted ? 'noted' : 'noting'}${expired}`);
  });
  if (world.pins.get(state, shard)) parts.push('pin');
  return parts;
}
