import { type Failing, failingOn } from '../../src/testing/fault';

export { type Faults, faultyD1 } from '../../src/testing/faulty-d1';

/** A `failOn` that fails the first `times` statements that contain `text`, and no more. */
export const failTimes = (times: number, text: string, message: string): Failing =>
  failingOn({ times, on: text, error: new Error(message) });
