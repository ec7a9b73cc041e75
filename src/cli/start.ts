import { runCli } from './program';
import { Stop } from './stop';

const stop = new Stop();
stop.listen();

// Nothing that this process has opened may keep it alive, and all output is written by now.
runCli(process.argv.slice(2), process.cwd(), stop).then(
  (code) => flushed(() => process.exit(code)),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);

/** Pipes are written asynchronously; leaving at once would cut a long document off. */
function flushed(then: () => void): void {
  process.stdout.write('', () => process.stderr.write('', then));
}
