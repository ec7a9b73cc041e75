/** Something that `doctor` has to say. */
export interface DoctorFinding {
  /** `error`: queries fail, or rows are in danger. `warning`: it will come to that. `note`: worth knowing. */
  readonly level: 'error' | 'warning' | 'note';
  readonly message: string;
  /** The command, or what else mends it. */
  readonly mend?: string;
  readonly shard?: string;
}

/** What one look has found. */
export interface Checkup {
  readonly title: string;
  readonly findings: readonly DoctorFinding[];
}

export const error = (message: string, mend: string, shard?: string): DoctorFinding =>
  of('error', message, mend, shard);
export const warning = (message: string, mend: string, shard?: string): DoctorFinding =>
  of('warning', message, mend, shard);

const of = (level: DoctorFinding['level'], message: string, mend: string, shard?: string): DoctorFinding => ({
  level,
  message,
  mend,
  ...(shard === undefined ? {} : { shard }),
});
