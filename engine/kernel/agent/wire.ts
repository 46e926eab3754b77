/**
 * What goes over the wire between the program and the agent, and where it lies in the agent's memory. Payload comes
 * before the records, planned space before the results: so every address is known when it is handed out, and a
 * record may point into its own batch, into its own answer, and at results of records before it.
 *
 * A batch, at `IN_AT`: a head of five numbers (bytes that follow the first eight, records, the addresses of the first
 * record, of the first result and of the tail) · payload · records. An answer, at `OUT_AT`: a head of two numbers
 * (bytes that follow the first eight, records done) · planned space · results · the tail, where exits are logged.
 */

/** Where the agent's own code lies. */
export const TEXT_AT = 0x40_1000;
/** Where a batch is read to, and how much of it there may be. */
export const IN_AT = 0x1000_0000;
export const IN_BYTES = 16 << 20;
/** Where the answer is made. */
export const OUT_AT = 0x1100_0000;
export const OUT_BYTES = 16 << 20;

/** The head of a batch: its bytes, and the offsets of the numbers in it. */
export const BATCH_HEAD = 40;
export const BATCH_RECORDS = 8;
export const BATCH_RECORDS_AT = 16;
export const BATCH_RESULTS_AT = 24;
export const BATCH_TAIL_AT = 32;
/** Bytes of the head of an answer. */
export const ANSWER_HEAD = 16;
/** A record: number, six arguments, flags. */
export const RECORD_BYTES = 64;
/** A result: value, TSC delta. */
export const RESULT_BYTES = 16;

/** Record flag `1 << i`: argument i is the address of the value. */
export const INDIRECT = 1;
/** Record flag: a negative result ends the batch. */
export const MUST = 0x40;

/** The number of the one record that is no system call: KVM_RUN until something needs an answer. */
export const RUN_RECORD = -1;

/**
 * One exit in the tail: ret, TSC delta, 8 bytes of kvm_run at 8 (exit_reason first), 64 bytes at 32 (the union),
 * and 8 bytes at 4096 (the data of a port access).
 */
export const EXIT_BYTES = 96;
/** Offsets in `struct kvm_run` that the agent looks at. */
export const RUN_EXIT_REASON = 8;
export const RUN_UNION = 32;
export const RUN_UNION_BYTES = 64;
export const RUN_IO_DATA = 4096;

/** What the agent says first: eight bytes of length, then `ATFL` and its version. */
export const HELLO = Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0, 0x41, 0x54, 0x46, 0x4c, 2, 0, 0, 0);
