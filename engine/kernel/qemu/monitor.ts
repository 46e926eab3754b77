/** QEMU's monitor: JSON commands (QMP) over two named pipes, one at a time. */
import type { Line } from '../host/channel.ts';

/** A monitor that has said its greeting. */
export class Monitor {
  readonly #line: Line;
  #text = '';

  constructor(line: Line) {
    this.#line = line;
    this.#next((message) => 'QMP' in message);
    this.command('qmp_capabilities');
  }

  /** Does a command and returns what it returned; events in between are passed over. */
  command(execute: string, args: Readonly<Record<string, unknown>> = {}): unknown {
    this.#line.write(new TextEncoder().encode(`${JSON.stringify({ execute, arguments: args })}\n`));
    const message = this.#next((m) => 'return' in m || 'error' in m);
    if ('error' in message) throw new Error(`QEMU refused ${execute}: ${JSON.stringify(message.error)}`);
    return message.return;
  }

  /** A command of the monitor for people; what it prints. */
  human(line: string): string {
    return String(this.command('human-monitor-command', { 'command-line': line }));
  }

  /** Closes the pipes. */
  close(): void {
    this.#line.close();
  }

  #next(wanted: (message: Record<string, unknown>) => boolean): Record<string, unknown> {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end < 0) {
        this.#text += new TextDecoder().decode(buffer.subarray(0, this.#line.readSome(buffer)));
        continue;
      }
      const message: unknown = JSON.parse(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
      if (isRecord(message) && wanted(message)) return message;
    }
  }
}

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null;
