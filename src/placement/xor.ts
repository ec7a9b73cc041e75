/** Digests are 52-bit numbers; JavaScript's `^` takes 32. */
const HALF = 2 ** 26;

/** The exclusive or of whole numbers below 2^52. */
export function xor52(numbers: readonly number[]): number {
  let high = 0;
  let low = 0;
  for (const number of numbers) {
    high ^= Math.floor(number / HALF);
    low ^= number % HALF;
  }
  return high * HALF + low;
}
