import { xxHash32 } from 'js-xxhash';

/** Slots, not keys, are spread over shards. The number never changes: it is part of where every row lives. */
export const SLOTS = 16384;

const encoder = new TextEncoder();

/** The slot of a canonical key: XXH32 with seed 0 over its UTF-8 bytes, modulo {@link SLOTS}. */
export const slotOf = (key: string): number => xxHash32(encoder.encode(key), 0) % SLOTS;

/** The first slots of `shards` equal, consecutive ranges; range `i` ends where `i + 1` begins. */
export const evenRanges = (shards: number): number[] =>
  Array.from({ length: shards }, (_, i) => Math.ceil((i * SLOTS) / shards));
