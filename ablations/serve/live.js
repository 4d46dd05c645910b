// SPDX-License-Identifier: Apache-2.0
// Asks for the page again and puts what has changed in the place of what was there, part by part, so that nothing else moves.
"use strict";
const live = document.getElementById("live");
const said = live.textContent;

async function follow() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) throw new Error(await answer.text());
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of page.querySelectorAll("main > [id]")) {
        const here = document.getElementById(part.id);
        if (!here) document.querySelector("main").append(part);
        else if (here.outerHTML !== part.outerHTML) here.replaceWith(part);
      }
      live.textContent = said;
      live.className = "";
    } catch (error) {
      live.textContent = "Not followed any more: " + error.message;
      live.className = "lost";
    }
  }
  setTimeout(follow, 2000);
}
setTimeout(follow, 2000);
