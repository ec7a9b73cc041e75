import type { CliCommand } from '../command';
import { adopt } from './adopt';
import { check } from './check';
import { doctor } from './doctor';
import { drain } from './drain';
import { generate } from './generate';
import { migrate } from './migrate';
import { moves } from './moves';
import { newShard } from './new-shard';
import { push } from './push';
import { reassign } from './reassign';
import { rebalance } from './rebalance';
import { sql } from './sql';
import { stats } from './stats';
import { status } from './status';
import { verify } from './verify';

/** In the order in which the help lists them. */
export const commands: readonly CliCommand[] = [
  generate,
  migrate,
  push,
  status,
  check,
  newShard,
  reassign,
  rebalance,
  drain,
  moves,
  adopt,
  verify,
  stats,
  sql,
  doctor,
];
