  // What the server refuses is an error with its sentence; of what others have changed meanwhile it holds what is there now.
  const send = async (path, method = "GET", content = undefined) => {
    const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: content && JSON.stringify(content) });
    if (answer.ok) return answer.json();
    const late = answer.status === 409 && (answer.headers.get("Content-Type") || "").includes("json") ? await answer.json() : null;
    throw Object.assign(new Error(late ? late.error : await answer.text()), { now: late && late.now });
  };
