import type { CliCommand } from '../command';
import { migrate } from './migrate';

/** In the order in which the help lists them. */
export const commands: readonly CliCommand[] = [migrate];
