import { writeSync } from 'node:fs';

/** As a shell says that a signal has ended a command: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

const SHOW_CURSOR = '\u001b[?25h';

/** Ctrl-C, or whoever else wants this process to end. */
export class Stop {
  readonly #controller = new AbortController();
  #isHeeded = false;
  #exitCode: number | undefined;

  /**
   * Aborted at the first signal: who asks for it undertakes to end soon. Commands that do not ask for it end at once, and so do
   * all at the second signal.
   */
  heed(): AbortSignal {
    this.#isHeeded = true;
    return this.#controller.signal;
  }

  /** Undefined as long as no signal has come. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  listen(): void {
    for (const [signal, exitCode] of Object.entries(SIGNALS)) process.on(signal, () => this.#come(exitCode));
  }

  #come(exitCode: number): void {
    if (!this.#isHeeded || this.#exitCode !== undefined) {
      // Past `process.stdout`, which a live list holds back until its end.
      if (process.stdout.isTTY) writeSync(process.stdout.fd, SHOW_CURSOR);
      process.exit(exitCode);
    }
    this.#exitCode = exitCode;
    this.#controller.abort();
  }
}
