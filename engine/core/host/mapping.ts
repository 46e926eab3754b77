/**
 * Mappings and what they map: backing objects with their pages, VMAs, ptes, and the facts that KVM's decisions
 * take from them.
 */
import { PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi.ts';
import {
  F_COLD,
  F_MKWRITE,
  F_PTE_PRESENT,
  F_PTE_WRITE,
  F_SIGBUS,
  F_VM_READ,
  F_VM_WRITE,
  F_VMA,
} from '../../facts.ts';
import type { BackingKind } from '../../machine.ts';
import type { Vm } from '../vm.ts';

/**
 * A pte: the frame above bit 11, below it the facts F_PTE_PRESENT and F_PTE_WRITE in their own places, and
 * PTE_PRIVATE for a page this mapping owns alone. 0 is no entry.
 */
export const PTE_FRAME_SHIFT = 11;
/** The facts a pte holds. */
export const PTE_FACTS = F_PTE_PRESENT | F_PTE_WRITE;
/** See PTE_FRAME_SHIFT. */
export const PTE_PRIVATE = 1;

/** A backing's page, the frame above bit 2: it is in the page cache. */
export const PAGE_IN_CACHE = 1;
/** It was ever made; without PAGE_IN_CACHE it is only on the disk. */
export const PAGE_EXISTS = 2;
/** Where the frame begins. */
export const PAGE_FRAME_SHIFT = 2;

/** A memfd, anonymous memory, or a file. */
export interface Backing {
  readonly kind: BackingKind;
  readonly npages: number;
  readonly bytes: number;
  /** Table of pages, by page number. */
  readonly pages: number;
}

/** A run of pages of a mapping with one protection: what the kernel calls a VMA. */
export interface Vma {
  start: number;
  end: number;
  prot: number;
}

/** One mmap(): its VMAs (more than one after a partial mprotect) and its page table. */
export interface Mapping {
  readonly startHvn: number;
  readonly npages: number;
  readonly shared: boolean;
  readonly backing: Backing;
  /** Table of ptes, by page of the mapping. */
  readonly ptes: number;
  vmas: Vma[];
}

/** Protection of a page of a mapping. */
export function protAt(mapping: Mapping, page: number): number {
  for (const v of mapping.vmas) if (page >= v.start && page < v.end) return v.prot;
  return 0;
}

/** The facts of a VMA with this protection. */
export function vmaFacts(mapping: Mapping, prot: number): number {
  const read = (prot & PROT_READ) !== 0;
  const write = read && (prot & PROT_WRITE) !== 0;
  // A file's shared pages are write-notified (the filesystem must learn of the first store); a memfd's are not.
  const mkwrite = write && mapping.shared && mapping.backing.kind === 'shm';
  return F_VMA | (read ? F_VM_READ : 0) | (write ? F_VM_WRITE : 0) | (mkwrite ? F_MKWRITE : 0);
}

/** VMA facts that hold for every page from `page` on, or -1 if the pages differ. */
export function uniformFacts(mapping: Mapping, page: number, npages: number): number {
  const vma = mapping.vmas.find((v) => page >= v.start && page + npages <= v.end);
  return vma === undefined ? -1 : vmaFacts(mapping, vma.prot);
}

/** Residency facts of a page that has no pte: does touching it need I/O, or is it past the end? */
export function absentFacts(vm: Vm, mapping: Mapping, page: number): number {
  const { backing } = mapping;
  if (backing.kind === 'file' && page * PAGE_SIZE >= backing.bytes) return F_SIGBUS;
  const entry = vm.tableGet(backing.pages, page);
  return (entry & PAGE_EXISTS) !== 0 && (entry & PAGE_IN_CACHE) === 0 ? F_COLD : 0;
}

/** Gives a range of a mapping another protection: VMAs are split, and joined where they can be (vma_merge()). */
export function protect(mapping: Mapping, start: number, end: number, prot: number): void {
  const pieces: Vma[] = [{ start, end, prot }];
  for (const v of mapping.vmas) {
    if (v.start < start) pieces.push({ ...v, end: Math.min(v.end, start) });
    if (v.end > end) pieces.push({ ...v, start: Math.max(v.start, end) });
  }
  const vmas: Vma[] = [];
  for (const v of pieces.toSorted((a, b) => a.start - b.start)) {
    const last = vmas.at(-1);
    if (last !== undefined && last.end === v.start && last.prot === v.prot) last.end = v.end;
    else vmas.push(v);
  }
  mapping.vmas = vmas;
}
