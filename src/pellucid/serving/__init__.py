"""A classifier for other programs: one server, several dialects, one handler behind them.

limits          what a request may cost
refusal         an answer that says no, as a status and a sentence
batcher         pictures of many requests through the network together
served          one version of one model, checked; its batcher, and its classifier for explanations
models          the models by name; a new version takes the place of the old
gate            how many pictures and bytes are being worked on
explain         a picture's run, one at a time beside the predictions
handler         pictures to predictions, within the limits: what all dialects call
bodies, forms   a request's body, within the limits: its JSON, its base64, its files
wire            answers as JSON
v1, open_inference, tensors, hugging_face      the dialects
openapi, index  what OpenAPI says of bodies; the page at /docs
entrance        who may ask; each request logged and counted
metrics         counters that all workers share, for Prometheus
logs            a line of JSON for each event
page            the page for browsers, at /
application     the dialects behind the entrance
protocol        HTTP, with limits on what comes before a body
running         one process that listens; its signals
workers         several of them that share the weights
"""
