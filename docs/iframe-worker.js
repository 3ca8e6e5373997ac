// Search in a site that is read from a folder: there browsers start no worker, and a hidden frame does its work.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.answered = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.loaded = new Promise((resolve) => (this.frame.onload = resolve));
      this.frame.srcdoc =
        "<script>postMessage = (data) => frameElement.answered(data)</script>" +
        `<script src="${new URL(script, location)}"></script>`;
      document.documentElement.append(this.frame);
    }

    postMessage(data) {
      this.loaded.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
