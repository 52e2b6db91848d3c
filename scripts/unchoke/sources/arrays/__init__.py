"""Images that are rows of arrays: what the sources hdf5, npy and zarr share."""
