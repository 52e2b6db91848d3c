# Files of the report with their captions, workflow/report/<name>.rst, and their places in the menu.


def report_entry(path, category, label, caption=None, **place):
    """A file below the report's folder; its caption is that of its name, or `caption`."""
    return report(
        f"<results>/report/{path}",
        caption=f"../report/{caption or Path(path).stem}.rst",
        category=category,
        labels={"shown": label},
        **place,
    )


def head_entry(name, label):
    """A figure of a head."""
    return report_entry(
        f"{{encoder}}/{{head}}/{name}",
        "2 Heads",
        label,
        subcategory="{encoder} · {head}",
    )
