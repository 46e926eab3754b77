/**
 * Recorded cases on which the core is known to differ, each with the reason. `conform` still counts them as
 * differences; the README repeats this list.
 */

/** Cases of one kernel that differ for one reason. */
export interface KnownDifference {
  readonly kernel: string;
  readonly reason: string;
  readonly ids: readonly string[];
}

/** Everything known. Both reasons are one: nothing in a recording says how fast its disk answered. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    kernel: 'stock',
    reason:
      'a read-modify-write of a cold page of a file, with an APIC in the kernel and interrupts on: the disk had answered ' +
      'before get_user_pages looked at the page a second time, so that there was no asynchronous fault, and the store ' +
      'took a fault of its own. Exits and fate agree; taken and fixed faults are one fewer here. In a third recording of ' +
      'the kind (pv-cpl0-not-asked) the disk was slower, and the core agrees.',
    ids: ['apf/chip-if/plain/rw-file/rmw', 'apf/pv-if/plain/rw-file/rmw'],
  },
  {
    kernel: 'prepatch',
    reason:
      'a cold read of a read-only file mapping: whether the VM dies depends on whether the disk has answered before ' +
      'get_user_pages looks at the page a second time, and the recordings hold both outcomes for the same facts. Of the ' +
      'recorded cases in which the question is open, the VM lived in 12 of 13 in long64 and died in 14 of 16 in prot32. ' +
      'The core has a disk that is never that fast: there it always dies. Unseen cases of this family may differ too.',
    ids: [
      'story/prot32/ro/r-file/cold-execute',
      'story/prot32/ro/r-file/warm-then-cold-read',
      'story/long64/ro/r-file/evict-then-write',
      'story/long64/ro/r-file/cold-read',
      'story/long64/ro/r-file/warm-then-cold-read',
      'story/long64/ro/r-file/cold-rmw',
      'story/long64/ro/r-file/cold-read-then-write',
      'story/long64/ro/r-file/cold-execute',
      'story/long64/plain/r-file/evict-then-read',
      'story/long64/plain/r-file/warm-then-cold-read',
      'story/long64/plain/r-file/warm-then-cold-rmw',
      'story/long64/plain/r-file/cold-read-then-write',
      'story/long64/plain/r-file/warm-then-cold-read-then-write',
      'story/long64/plain/r-file/cold-execute',
    ],
  },
];

/** The reason a case is known to differ under a kernel, if it is. */
export function knownReason(id: string, kernel: string): string | undefined {
  return KNOWN_DIFFERENCES.find((k) => k.kernel === kernel && k.ids.includes(id))?.reason;
}
