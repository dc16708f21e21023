"""Runs one portable test file under the interpreter that runs this: `PYTHON run.py test_file.py [NAME...]`.

Prints a line per test (`ok NAME`, `skip NAME WHY`, `FAIL NAME`, then the traceback) and ends with 1 when one
failed. pytest does the same under CPython by itself; this is for MicroPython, which has no pytest.
"""
import sys


def folder(path):
    return path.rpartition("/")[0] or "."


HERE = folder(__file__)
sys.path[:0] = [HERE, HERE + "/../../package/wgp2p"]



def main(path, names):
    import gc

    import helpers

    if hasattr(gc, "threshold"):  # as the daemon does: else what lives is strewn all over MicroPython's heap
        gc.threshold(131072)
    sys.path.insert(0, folder(path))
    module = __import__(path.rpartition("/")[2].partition(".")[0])
    failed = 0
    for name in sorted(module.__dict__):  # dir() of MicroPython misses names made at run time
        if not name.startswith("test_") or (names and name not in names):
            continue
        try:
            getattr(module, name)()
        except helpers.Skip as why:
            print("skip", name, why)
        except Exception as error:
            failed = 1
            print("FAIL", name)
            if hasattr(sys, "print_exception"):
                sys.print_exception(error, sys.stdout)
            else:
                import traceback

                traceback.print_exc(file=sys.stdout)
        else:
            print("ok", name)
    return failed


sys.exit(main(sys.argv[1], sys.argv[2:]))
