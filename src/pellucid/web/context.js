/** The input of every view: one object, which the drawer makes. */

/** @typedef {import("./trace.js").Trace} Trace */
/** @typedef {import("./store.js").PageState} PageState */
/** @typedef {import("./store.js").PageStore} PageStore */
/**
 * The actions that need a server.
 * @typedef {object} Served
 * @property {(path: string, request?: RequestInit) => Promise<Response>} ask throws Trouble if refused
 * @property {(path: string) => string} source the address of an image
 * @property {(path: string, body?: BodyInit) => Promise<boolean>} change requests other numbers and shows them;
 *     false if refused, which the page then reports
 * @property {(picture: Blob) => Promise<boolean>} choose another picture
 * @property {(label: string) => Promise<boolean>} against another class for the loss
 */
/**
 * The context of every view.
 * @typedef {object} Context
 * @property {Trace} trace
 * @property {PageState} state settled: its place exists
 * @property {PageStore} store
 * @property {Served | null} served null in a file, which has no server
 */
/**
 * The context of a view on the stage.
 * @typedef {Context & {width: number, hover: (at: number[]) => void}} StageContext
 *     width of the stage in CSS pixels; hover highlights the window of a number in the strip
 */

export {};
