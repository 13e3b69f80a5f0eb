# What `firmware_tools` offers. Read by type checkers, and at run time by lazy_loader, which wants relative imports.
from . import (
    advice,
    align,
    boards,
    build,
    codegen,
    convert,
    devices,
    engines,
    explain,
    graph,
    link,
    memory,
    metrics,
    quantize,
    reference,
    report,
    results,
    schema,
    thresholds,
    validate,
)
from ._compare import compare
from ._diagnose import diagnose, diagnose_capture
from .advice import advise
from .engines import open_engine
from .explain import drift, predictor
from .graph import Graph
from .results import Comparison, OpResult, Verdict
