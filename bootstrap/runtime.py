# /opt/lamella/runtime.py: a script is compiled on every start, so it holds only what must be here.
if __name__ == "__main__":  # a child that multiprocessing spawns runs this file as __mp_main__
    import gc
    import sys

    thresholds = gc.get_threshold()
    gc.set_threshold(0)  # init makes no garbage worth looking for; main() puts this back

    layer = __file__[: -len("/lamella/runtime.py")]
    sys.path.insert(0, layer + "/python")

    from lamella.runtime.main import main  # the line above decides which lamella this is

    main(layer, thresholds)
