/**
 * One number's equation, as large as it fits: window × weights = products on one line, or else the product that the
 * reader points at. All grids have the layout of the window, so each cell times the cell at the same place is the
 * product there.
 */

import { compares, written } from "../arithmetic/expression.js";
import { shading } from "../colors.js";
import { h } from "../element.js";
import { unit } from "../format.js";
import { COMPARISON } from "../number/formula.js";
import { alone, bracketed, setting, writer } from "./digits.js";
import { inNumbersOf, productsOf } from "./products.js";
import { triple } from "./triple.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../number/window.js").Slice} Slice */
/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./products.js").Room} Room */
/** @typedef {import("./products.js").Products} Products */
/** @typedef {import("./products.js").Factor} Factor */

const LEAST = 20; // CSS pixels of a digit
const MOST = 44;
const DIGIT = 0.62; // em
const AROUND = 0.8; // em between two numbers of a grid
const BETWEEN = 1.8; // em of an operator between two grids
const LINE = 1.7; // em
const NOTE = 80; // CSS pixels of what was done to a factor, on three lines

/**
 * @param {Context} context
 * @param {Working} working
 * @param {Slice[] | null} perMap the terms of the first part by their maps
 * @param {number} chosen
 * @param {Room} room
 * @returns {HTMLElement}
 */
export function equation({ state, store }, working, perMap, chosen, room) {
  const [part] = working.parts;
  if (!part) return h("p", { class: "only" }, alone(working.recorded));
  if (part.terms.values.length === 1) return formula(part);
  const products = productsOf(part, perMap?.[chosen] ?? null);
  const size = fitting(products, room);
  if (size < LEAST) return triple(store, products, JSON.stringify([state.name, state.direction, chosen]), room);
  return grids(products, size);
}

/**
 * A single term: its formula in names, in numbers, and its value.
 * @param {Part} part
 */
function formula({ terms, named, lead }) {
  const byName = new Map(terms.columns.map((column) => [column.name, column]));
  const name = (/** @type {string} */ each) => {
    const column = byName.get(each);
    return column
      ? unit(
          named(each),
          column.indices.slice(lead(each)).map(([at]) => at),
        )
      : each;
  };
  const inNumbers = inNumbersOf(terms, 0);
  const lines = [written(terms.formula, name, setting).replaceAll(" * ", " × ").replaceAll(" - ", " − ")];
  if (inNumbers !== alone(terms.values[0])) lines.push(`= ${inNumbers}`);
  const note = compares(terms.formula) && h("p", { class: "note" }, COMPARISON);
  return h("div", { class: "formula-of" }, ...lines.map((line) => h("p", {}, line)), note);
}

/**
 * The size at which the whole equation fits on one line; 0 if its terms are in no window.
 * @param {Products} products
 * @param {Room} room
 */
function fitting(products, { width, height }) {
  if (!products.map || (products.pick === "sum" && !products.factors.length)) return 0;
  const wide = (/** @type {number[]} */ values) => {
    const { text } = writer(values);
    return DIGIT * Math.max(...values.map((value) => text(value).length)) + AROUND;
  };
  const own = products.factors.filter(({ single }) => !single);
  const drawn = (/** @type {Factor} */ { values, alone }) => [...values, ...alone.map(({ value }) => value)];
  const shown = products.pick === "max" ? [own[0] ? drawn(own[0]) : products.values] : own.map(drawn);
  const alsoProducts = products.pick === "sum" && products.factors.length > 1;
  if (alsoProducts) shown.push(products.values);
  const singles = products.factors.filter(({ single }) => single).map(({ values }) => wide([values[0]]) + BETWEEN);
  const across =
    shown.reduce((sum, values) => sum + products.columns * wide(values), 0) +
    BETWEEN * (shown.length - 1) +
    singles.reduce((a, b) => a + b, 0) +
    1;
  const down = products.rows * LINE + 2.5;
  const notes = own.some(({ note }) => note) ? NOTE : 0;
  return Math.min(MOST, Math.floor(width / across), Math.floor((height - notes) / down));
}

/**
 * @param {Products} products
 * @param {number} size of a digit, in CSS pixels
 */
function grids(products, size) {
  const { factors, pick } = products;
  const operator = (/** @type {string} */ text) => h("span", { class: "between", "aria-hidden": "true" }, text);
  /** @type {HTMLElement[]} */
  const shown = [];
  for (const factor of factors.length ? factors : [candidates(products)]) {
    if (shown.length) shown.push(operator("×"));
    if (factor.single && factor.values.length)
      shown.push(h("span", { class: "constant" }, bracketed(alone(factor.values[0]))));
    else shown.push(cells(products, factor));
  }
  if (pick === "sum" && factors.length > 1) {
    shown.push(operator("="), cells(products, { ...candidates(products), caption: "products" }));
  }
  return h("div", { class: "presented", style: { "--digit": `${size}px`, "--rows": String(products.rows) } }, ...shown);
}

/**
 * Without factors, the terms themselves.
 * @param {Products} products
 * @returns {Factor}
 */
function candidates({ values }) {
  return { caption: "", note: "", values, inside: values.map(() => true), single: false, alone: [] };
}

/**
 * @param {Products} products
 * @param {Factor} factor
 */
function cells({ at, rows, columns, winner }, { values, alone, caption, note, inside }) {
  const numbers = [...values, ...alone.map(({ value }) => value)];
  const { text, times } = writer(numbers);
  const { shade } = shading(numbers);
  /** @type {(HTMLElement | null)[][]} */
  const laid = Array.from({ length: rows }, () => Array(columns).fill(null));
  const cell = (/** @type {number[]} */ [row, column], /** @type {number} */ value, /** @type {any[]} */ kinds) => {
    const t = shade(value);
    const all = [t > 0 ? "above" : t < 0 ? "below" : "", ...kinds].filter(Boolean).join(" ");
    const shown = Number.isFinite(value) ? text(value) : "–";
    laid[row][column] = h("td", { class: all, style: { "--t": String(Math.abs(t)) } }, shown);
  };
  at.forEach((place, each) =>
    cell(place, values[each], [each === winner && "best", inside[each] === false && "outside"]),
  );
  for (const { at: place, value, inside: own } of alone) cell(place, value, ["lone", !own && "outside"]);
  return h(
    "table",
    { class: "cells" },
    h("caption", {}, caption + times, note && h("span", { class: "done" }, note)),
    h("tbody", {}, ...laid.map((line) => h("tr", {}, ...line.map((each) => each ?? h("td", { class: "nothing" }))))),
  );
}
