/**
 * The four kinds of address and frame number, and the only functions that turn one into another.
 * Brands cost nothing at run time; they stop a gfn from being passed where a gpa is meant.
 */
import { PAGE_SHIFT, PAGE_SIZE } from './abi.ts';

declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]: Name };

/** Guest physical address, in bytes. */
export type Gpa = Unit<'gpa'>;
/** Guest frame number: a gpa without its page offset. */
export type Gfn = Unit<'gfn'>;
/** Host virtual address in the VMM, in bytes. */
export type Hva = Unit<'hva'>;
/** Host virtual page number: an hva without its page offset. */
export type Hvn = Unit<'hvn'>;

/** Takes a plain number for a gpa; for the edge, where numbers come in. */
export const gpa = (n: number): Gpa => n as Gpa;
/** Takes a plain number for an hva; for the edge, where numbers come in. */
export const hva = (n: number): Hva => n as Hva;
/** `gpa_to_gfn()`. */
export const gpaToGfn = (a: Gpa): Gfn => Math.floor(a / PAGE_SIZE) as Gfn;
/** `gfn_to_gpa()`. */
export const gfnToGpa = (g: Gfn): Gpa => (g * PAGE_SIZE) as Gpa;
/** The page an hva lies in. */
export const hvaToHvn = (a: Hva): Hvn => Math.floor(a / PAGE_SIZE) as Hvn;
/** The first byte of a host virtual page. */
export const hvnToHva = (n: Hvn): Hva => (n * PAGE_SIZE) as Hva;
/** Pages that `bytes` fill, rounded up. */
export const bytesToPages = (bytes: number): number => Math.ceil(bytes / 2 ** PAGE_SHIFT);
