/** Our own bugs, as opposed to the guest's, the VMM's and the world's troubles, which are values. */

/** Throws if `condition` does not hold: the engine is wrong, not its input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug in the engine: ${message}`);
}
