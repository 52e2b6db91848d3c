# What the lines on the terminal are computed from: Snakemake's logger `unchoke` (scripts/snakemake_logger_plugin_unchoke)
# asks the graph, the config and the results. Other loggers are not told.

for handler in workflow.logger_manager.get_log_handlers():
    if hasattr(handler, "begin"):
        handler.begin(workflow, config, Path(RESULTS))
