"""Work on the server beside the page: its progress is followed from the drawing of its element until it leaves."""

from playwright.sync_api import Page

FOLLOWED = """async (kind) => {
    const { progress } = await import("./job.js");
    const wait = window.setTimeout;
    const pause = (milliseconds) => new Promise((go) => wait(go, milliseconds));
    window.setTimeout = (work) => wait(work, 5); // instead of half a second
    try {
        let requests = 0;
        let done = false;
        const ask = async () => {
            requests++;
            return { json: async () => ({ state: requests < 3 || kind === "left" ? "running" : "done" }) };
        };
        const finished = () => (done = true);
        const box = progress({ ask, path: "", answer: { state: "running" }, doing: "Working", finished });
        await pause(50); // the rest of the view is not there yet
        const before = requests;
        document.body.append(box);
        for (let turns = 0; turns < 400 && requests < 3; turns++) await pause(5);
        await pause(0);
        box.remove();
        await pause(30);
        const last = requests;
        await pause(50);
        return [before, done, requests - last];
    } finally {
        window.setTimeout = wait;
    }
}"""


def test_a_job_is_followed_also_where_the_rest_of_its_view_comes_late(modules: Page) -> None:
    assert modules.evaluate(FOLLOWED, "done") == [0, True, 0]


def test_a_job_that_has_left_the_page_is_not_followed(modules: Page) -> None:
    assert modules.evaluate(FOLLOWED, "left") == [0, False, 0]
