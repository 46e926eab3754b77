/** The agent as a file to run: PID 1 of a guest kernel, or a child of this program. */
import { elfExecutable } from './elf.ts';
import { agentCode } from './machine-code.ts';
import { IN_AT, IN_BYTES, OUT_AT, OUT_BYTES, TEXT_AT } from './wire.ts';

/** The executable; the same bytes every time. */
export function agentExecutable(): Uint8Array {
  const zero = { at: IN_AT, bytes: OUT_AT + OUT_BYTES - IN_AT };
  if (OUT_AT !== IN_AT + IN_BYTES) throw new Error('bug in the engine: the agent has one zero segment');
  return elfExecutable(agentCode(), TEXT_AT, zero);
}
