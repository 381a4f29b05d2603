"""How a lint script answers: one TAP line a rule, and under a broken one each place as file:line."""


class Report:
    """Collects what the rules of one script found; finish() prints the plan and gives the exit code."""

    def __init__(self):
        self.rules = []

    def rule(self, name, places):
        """One rule and the places that break it: (file, line, what) each."""
        self.rules.append((name, [f"{file}:{line}: {what}" for file, line, what in places]))

    def finish(self):
        print(f"1..{len(self.rules)}")
        for number, (name, places) in enumerate(self.rules, 1):
            print(f"{'not ok' if places else 'ok'} {number} - {name}")
            for place in places:
                print(f"#   {place}")
        return 1 if any(places for _, places in self.rules) else 0
