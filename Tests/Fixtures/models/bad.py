def generate(here):
    pass
