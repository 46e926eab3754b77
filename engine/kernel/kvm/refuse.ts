/** What this engine has no way to do yet: asked for, it is one line, and never done halfway. */
import { MachineCannot } from '../../machine.ts';

/** Throws where it is asked for. */
export function refuse(asked: boolean, what: string): void {
  if (asked) throw new MachineCannot(`${what} on a real kernel`);
}
