/**
 * One number's equation, as large as it fits: window × weights = products on one line, or else the product that the
 * reader points at. All grids have the layout of the window, so each cell times the cell at the same place is the
 * product there.
 */

import { written } from "../arithmetic/expression.js";
import { shading } from "../colors.js";
import { h } from "../element.js";
import { unit } from "../format.js";
import { alone, bracketed, setting, writer } from "./digits.js";
import { inNumbersOf, productsOf } from "./products.js";
import { triple } from "./triple.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../number/window.js").Slice} Slice */
/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./products.js").Room} Room */
/** @typedef {import("./products.js").Products} Products */

const LEAST = 20; // CSS pixels of a digit
const MOST = 44;
const DIGIT = 0.62; // em
const AROUND = 0.8; // em between two numbers of a grid
const BETWEEN = 1.8; // em of an operator between two grids
const LINE = 1.7; // em

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
  return h("div", { class: "formula-of" }, ...lines.map((line) => h("p", {}, line)));
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
  const shown = products.pick === "max" ? [products.factors[0]?.values ?? products.values] : [];
  if (products.pick === "sum")
    shown.push(...products.factors.filter(({ single }) => !single).map((each) => each.values));
  const alsoProducts = products.pick === "sum" && products.factors.length > 1;
  if (alsoProducts) shown.push(products.values);
  const singles = products.factors.filter(({ single }) => single).map(({ values }) => wide([values[0]]) + BETWEEN);
  const across =
    shown.reduce((sum, values) => sum + products.columns * wide(values), 0) +
    BETWEEN * (shown.length - 1) +
    singles.reduce((a, b) => a + b, 0) +
    1;
  const down = products.rows * LINE + 2.5;
  return Math.min(MOST, Math.floor(width / across), Math.floor(height / down));
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
    else shown.push(cells(products, factor.values, factor.caption, factor.inside));
  }
  if (pick === "sum" && factors.length > 1) {
    shown.push(operator("="), cells(products, products.values, "products", []));
  }
  return h("div", { class: "presented", style: { "--digit": `${size}px` } }, ...shown);
}

/**
 * Without factors, the terms themselves.
 * @param {Products} products
 */
function candidates({ values }) {
  return { caption: "", values, inside: values.map(() => true), single: false };
}

/**
 * @param {Products} products
 * @param {number[]} values
 * @param {string} caption
 * @param {boolean[]} inside
 */
function cells({ at, rows, columns, winner }, values, caption, inside) {
  const { text, times } = writer(values);
  const { shade } = shading(values);
  /** @type {(HTMLElement | null)[][]} */
  const laid = Array.from({ length: rows }, () => Array(columns).fill(null));
  at.forEach(([row, column], each) => {
    const t = shade(values[each]);
    const kinds = [
      t > 0 ? "above" : t < 0 ? "below" : "",
      each === winner && "best",
      inside[each] === false && "outside",
    ];
    const shown = Number.isFinite(values[each]) ? text(values[each]) : "–";
    laid[row][column] = h(
      "td",
      { class: kinds.filter(Boolean).join(" "), style: { "--t": String(Math.abs(t)) } },
      shown,
    );
  });
  return h(
    "table",
    { class: "cells" },
    h("caption", {}, caption + times),
    h("tbody", {}, ...laid.map((line) => h("tr", {}, ...line.map((cell) => cell ?? h("td", { class: "nothing" }))))),
  );
}
