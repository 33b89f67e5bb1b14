"""stand-in"""
def write_report(plan, measured, about, folder):
    text = "\n".join(f"{m.row.name} {m.row.depth} " + " ".join(f"{r['test_result']['auc']:.4f}" for r in m.results) for m in measured)
    (folder / "report.md").write_text(f"{about}\n{text}\n")
    return folder / "report.md"
def write_speed_report(plan, speeds, about, folder):
    text = "\n".join(f"{s.row.name} {s.parameters} {s.news_per_second}" for s in speeds)
    (folder / "report.md").write_text(f"{about}\n{text}\n")
    return folder / "report.md"
