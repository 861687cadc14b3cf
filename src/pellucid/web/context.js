/** What a view is drawn from: one object, which the drawer makes. */

/** @typedef {import("./trace.js").Trace} Trace */
/** @typedef {import("./store.js").PageState} PageState */
/** @typedef {import("./store.js").PageStore} PageStore */
/**
 * What only a server can do.
 * @typedef {object} Served
 * @property {(path: string, request?: RequestInit) => Promise<Response>} ask a refusal is a Trouble
 * @property {(path: string, body?: BodyInit) => Promise<boolean>} change asks for other numbers and shows them;
 *     false where they were refused, which the page then says
 * @property {(picture: Blob) => Promise<boolean>} choose another picture
 * @property {(label: string) => Promise<boolean>} against another class that the loss is measured against
 */
/**
 * What every view has.
 * @typedef {object} Context
 * @property {Trace} trace
 * @property {PageState} state settled: its place is there
 * @property {PageStore} store
 * @property {Served | null} served null in a file, which nobody answers
 */
/**
 * What a view on the stage has as well.
 * @typedef {Context & {width: number, hover: (at: number[]) => void}} StageContext
 *     width of the stage in CSS pixels; hover lights the window of a number up in the strip
 */

export {};
