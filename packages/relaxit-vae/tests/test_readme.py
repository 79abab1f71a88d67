import re
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(example.replace("epochs=5", "epochs=1"), scope)
    assert scope["digits"].shape == (16, 784)
    assert float(capsys.readouterr().out) == scope["run"].evaluation.elbo
    assert (tmp_path / "runs" / "short" / "samples.png").is_file()
