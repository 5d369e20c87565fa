// Beside the page and not in it, so that the page may forbid scripts that stand in it.
window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#docs",
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    validatorUrl: "none",
  });
};
